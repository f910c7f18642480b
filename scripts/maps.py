"""Distributed Maps that give their executions batches of items, where MiniStack gives each an item and ignores ItemBatcher.

A batch has at most MaxItemsPerBatch items and MaxInputBytesPerBatch bytes, and is given as {"Items": [...]}, with BatchInput if there is one:
https://docs.aws.amazon.com/step-functions/latest/dg/input-output-itembatcher.html. The items of AWS's counts are batches here.
"""

import copy
import json

# https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
MAX_INPUT_BYTES = 256 * 1024


class Maps:
    def __init__(self, machines):
        """MiniStack's module of Step Functions."""
        self.machines, self.run = machines, machines._run_distributed_map

    def batched(self, state, raw, effective, iterator, execution, ctx):
        batcher = state.get("ItemBatcher")
        if not batcher:
            return self.run(state, raw, effective, iterator, execution, ctx)
        batches = self.batches(batcher, self.items(state, effective, ctx), effective, ctx)
        rest = {name: value for name, value in state.items() if name not in ("ItemBatcher", "ItemReader", "ItemSelector", "Parameters")}
        return self.run({**rest, "ItemsPath": "$"}, raw, batches, iterator, execution, ctx)

    def items(self, state, effective, ctx):
        if reader := state.get("ItemReader"):
            items = self.machines._read_map_items(reader, effective, ctx)
        else:
            items = self.machines._resolve_path_or_ctx(state.get("ItemsPath", "$"), effective, ctx)
        selector = state.get("ItemSelector")
        if not selector:
            return items
        known = lambda index, item: {**copy.deepcopy(ctx), "Map": {"Item": {"Index": index, "Value": item}}}
        return [self.machines._resolve_params_obj(selector, effective, known(index, item)) for index, item in enumerate(items)]

    def batches(self, batcher, items, effective, ctx):
        most = batcher.get("MaxItemsPerBatch") or len(items)
        limit = min(batcher.get("MaxInputBytesPerBatch") or MAX_INPUT_BYTES, MAX_INPUT_BYTES)
        given = self.machines._resolve_params_obj(batcher["BatchInput"], effective, ctx) if "BatchInput" in batcher else None
        shared = {} if given is None else {"BatchInput": given}
        around = size_of({**shared, "Items": []})
        batches, size = [], limit
        for item in items:
            more = size_of(item) + 1
            if not batches or len(batches[-1]["Items"]) == most or size + more > limit:
                batches.append({**shared, "Items": []})
                size = around
            batches[-1]["Items"].append(item)
            size += more
        return batches

    def install(self):
        self.machines._run_distributed_map = self.batched


def size_of(value):
    return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())
