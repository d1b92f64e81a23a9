# ---------------------------------------------------------------- pruned
# Without the device code of cuBLAS that no card of the inventory can run (golden_image_prune). The image holds what was done.
FROM build AS pruned
COPY prune-device-code removed-architectures /opt/prune/
RUN cd /opt/llama; \
    python3 /opt/prune/prune-device-code "$(cat /opt/prune/removed-architectures)" libcublas.so.* libcublasLt.so.* | tee pruned.jsonl
