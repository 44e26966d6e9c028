"""Stand-in for thinkube-control: the part of its contract that JupyterHub uses, over the live cluster."""
