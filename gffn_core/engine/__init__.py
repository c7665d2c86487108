"""Many runs trained fast: on this machine, or on a cluster."""
