"""The workflow language: schema, target query, conditions, rollout arithmetic, handing over of parameters.

Nothing in here knows Django or the network; everything is a function of its arguments.
"""
