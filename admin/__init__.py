"""What an admin runs beside Pulumi, on any cluster: proofs after a deploy, reports before one.

Uses the program's settings (`components.settings`), the Pulumi CLI and kubeconfig as they are in the caller's
environment. Knows nothing of the embedded platform; its stack is reached by `python -m local exec -- python -m admin`.
"""
