"""What the aggregator keeps: atoms by the second, folded when there are too many."""
