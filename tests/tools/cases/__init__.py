"""The three infrastructures of docs/infrastructure.md, each brought up on this machine, used, cut and tried.

Hosts are namespaces (PID, network, name, mounts), links are pairs of virtual cards that can be cut one by one, accounts
are those of Unix; sshd, sudo, PostgreSQL, Redis, Slurm and Autosubmit are the real ones.
"""
