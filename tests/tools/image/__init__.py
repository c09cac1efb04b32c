"""`make image-check`: the steps of the images and what the chart starts, in clean folders of Debian.

There is no engine for containers: namespaces of the kernel do what one would do.
"""
