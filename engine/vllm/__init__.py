"""Writing by vLLM's offline API, as an extra: ``pip install embercast[vllm]``.

Written against vLLM 0.32.0, the newest release that runs with this project's torch, and compared with the sources of
0.33.0: ``LLM(…)``, ``LLM.generate``, ``SamplingParams`` and ``StructuredOutputsParams`` (every field that is given),
``RequestOutput``, ``CompletionOutput``, ``FlatLogprobs`` and the tree of exceptions. Tests speak to a stand-in with the
same names and checks over transformers on a CPU: no GPU has run this yet.

``vllm`` is the package of that name, never this one: imports are absolute here.
"""
