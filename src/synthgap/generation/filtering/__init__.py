"""Which samples are kept: judged one by one, and compared with those kept before."""
