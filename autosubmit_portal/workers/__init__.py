"""What django-q2 1.11 needs around it. Each module says which function of django-q2 is the reason.

Remove a module when django-q2 no longer has the fault that it names.
"""
