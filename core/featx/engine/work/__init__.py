"""What computes a shard: dispatch, runner, the supervised child, and what collects results."""
