"""From the state to what people read: windows, rows of statistics, candles."""
