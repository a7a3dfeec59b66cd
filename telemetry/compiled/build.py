"""`python -m telemetry.compiled.build PATH`: make the file of the compiled library. Needs numba, and some ten seconds.

numba makes LLVM's code of each entry; wrappers are put before them, everything else becomes private to the library and
what nobody calls is left out. What is left must refer to nothing outside: see telemetry.compiled.linking.
"""

from __future__ import annotations

import os
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from telemetry.compiled import compiler, image
from telemetry.compiled.linking import link
from telemetry.compiled.wrapping import MEMORY, wrapper

MODULES = (  # that have entries
    *("scanner", "arrow", "columns", "moving", "table", "merging", "folding", "tally", "bursts", "largest", "patterns"),
    *("newest", "arranging", "range_rows", "range_patterns", "range_scan", "range_scanned"),
    *("outliers", "names"),
)
_RUNTIME = ("memset", "memcpy", "memmove")  # the backend calls them by name
_OPTIMIZE = 3
# How numba describes an exception that a function raises: pointers, which nobody follows here, see wrapping.
_EXCEPTION = re.compile(
    r'^(@"?\.const\.picklebuf\.[\w.]+"? = .*constant (\{ ptr, i32, ptr, ptr, i32 \})) \{.*?\}', re.MULTILINE
)


def main() -> None:
    """Make the file; it appears at its place whole or not at all."""
    path = Path(sys.argv[1])
    for module in MODULES:
        import_module(f"telemetry.compiled.{module}")
    names = [entry.name for entry in compiler.entries]
    code, places = link(_object(compiler.entries))
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    beside.write_bytes(image.write(code, {name: places[name] for name in names}))
    beside.replace(path)


def _object(entries: list[compiler.Compiled]) -> bytes:
    llvm: Any = import_module("llvmlite.binding")
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=_OPTIMIZE,
        reloc="pic",
        codemodel="small",
    )
    whole = _linked(llvm, entries, machine)
    _hide(whole, {entry.name for entry in entries}.union(_RUNTIME))
    options = llvm.create_pipeline_tuning_options(speed_level=_OPTIMIZE)
    options.loop_vectorization = options.slp_vectorization = True
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(whole, builder)
    code: bytes = machine.emit_object(whole)
    return code


def _linked(llvm: Any, entries: list[compiler.Compiled], machine: Any) -> Any:
    """One module of all entries, their parts and their wrappers."""
    texts, libraries = [MEMORY], []
    for name, types, dispatcher in entries:
        (compiled,) = dispatcher.overloads.values()
        texts.append(wrapper(name, compiled.fndesc.llvm_func_name, types))
        libraries.append(_EXCEPTION.sub(r"\1 zeroinitializer", compiled.library.get_llvm_str()))
    whole = llvm.parse_assembly("\n".join(texts))
    whole.triple, whole.data_layout = machine.triple, str(machine.target_data)
    for text in libraries:
        whole.link_in(llvm.parse_assembly(text))
    return whole


def _hide(whole: Any, seen: set[str]) -> None:
    """Leave nothing for others but what is called from outside."""
    for value in (*whole.functions, *whole.global_variables):
        if not value.is_declaration and value.name not in seen:
            value.linkage = "internal"


if __name__ == "__main__":
    main()
