"""Stand-ins for Strimzi, CloudNativePG and K8ssandra, for tests where their images can't be pulled.

They read the same resources as those operators, run one node of each server, and use the same names of services,
secrets, pods and labels and the same statuses, so that the tested code can't tell the difference. They lack: more than
one node, metrics, backups, certificate renewal, rolling upgrades.
"""
