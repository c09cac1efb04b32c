"""The portal's end of the channels to its agents: a process without Django and without a database.

It passes requests on, bounds them and gives up waiting. It never repeats one: no answer means unknown.
"""
