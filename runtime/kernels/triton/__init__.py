"""Triton kernels for CUDA devices. Maps are channels_last; sums are kept in float32 whatever the maps are stored in.

Importing a kernel's module needs the triton package, which comes with PyTorch's CUDA builds. With TRITON_INTERPRET=1,
set before that import, the kernels run on the CPU, slowly: that is how their results are tested where there is no GPU.
"""
