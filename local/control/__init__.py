"""Stand-in for thinkube-control: the part of its HTTP contract that JupyterHub uses, over the live cluster."""
