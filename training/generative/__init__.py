"""What methods share that learn to make images of a class: data, judge, measures, pictures, report.

A method is a spec with an ``objective``, and a task that says what is minimised and how an image is
made; see :mod:`training.generative.task`. What is measured needs features and classes of images
and not how they were made.
"""
