"""Stand-ins for the Pulumi providers that the program uses, where the official plugins cannot be had.

Same type tokens, inputs and outputs as the official SDKs, real effects, the official ones' rules; only the types that
the program uses, everything else is refused by name. One package per provider, ``bin/`` has the executables.
"""
