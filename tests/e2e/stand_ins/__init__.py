"""Stand-ins for Strimzi, CloudNativePG and K8ssandra, for tests where their images can't be pulled.

They read the very resources that those operators would, run one node of each server, and answer by the same names of
services, secrets, pods and labels and by the same statuses. What is tested does not know. What they leave out: more
than one node, metrics, backups, certificates' renewal, rolling upgrades.
"""
