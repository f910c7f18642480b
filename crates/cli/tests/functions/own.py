"""A function that speaks fanfold's own contract, and makes an item of each record."""

import noted


def handler(event, context):
    modes = {}
    for task in event["tasks"]:
        mode = modes[task["taskId"]] = noted.acts(task["record"], task["attempt"])
        if "quiet" not in task["record"]:
            noted.note("calls", task["taskId"], attempt=task["attempt"], call=context.aws_request_id, mode=mode)
    noted.misbehave(modes.values())
    if "malformed" in modes.values():
        return {"results": "fine"}
    results = [result_of(task, modes[task["taskId"]], event["arguments"]) for task in event["tasks"]]
    results += [{"taskId": "nobody", "status": "succeeded"} for mode in modes.values() if mode == "unknown"]
    return {"results": [result for result in results if result]}


def result_of(task, mode, arguments):
    said = {"taskId": task["taskId"]}
    if mode == "silent":
        return None
    if mode == "temporary":
        return {**said, "status": "temporary", "message": "come back later"}
    if mode == "permanent" or mode.startswith("closed") and not noted.is_open(mode):
        return {**said, "status": "permanent", "message": "no such client"}
    if mode == "large":  # larger than a table takes
        return {**said, "status": "succeeded", "item": {**task["record"], "note": "x" * 420_000}}
    item = {**task["record"], "note": f"{arguments['by']} in try {task['attempt']}"}
    return {**said, "status": "succeeded", "item": item, "result": {"seen": task["index"]}}
