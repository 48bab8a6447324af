"""What `build/release.py rehearse` does: the jobs of .github/workflows/release.yml, played here.

The steps are read from the workflow, and so are never others than a tag's. Its conditions and
expressions are evaluated as GitHub does it, and the actions it uses have a double each. What this
machine cannot do is left out or done in another way, and said so.

Reading order:

expressions  `${{ ... }}`
workflow     the file, as jobs and steps
machine      what this machine lacks: what is done instead of a step, or not at all
actions      the doubles of actions: checkout, Python, artifacts
player       a job, step by step
transcript   what is printed
commands     the command itself
"""
