"""Weights that others publish: which files an engine needs, where they lie, and how they get here.

Read in this order: `sources` (what an engine is made of), `lock` (what is installed, and what was before), `store` (the
folder on disk), `verify` (is it complete?), `offers` (which engines the app may offer), `remote` (the hub), `fetch`
(one file), `plan` and `download` (all of them), `switch` (use and rollback), `tables` (what people are told). Nothing
here loads a weight, and nothing is downloaded but by `download`, which only a person starts.
"""
