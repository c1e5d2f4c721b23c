"""Effects as JSON, made by hand: what there is to tell, and nothing unless it is given."""

from __future__ import annotations

from app.graph.preview.json_form import concerns

WEB, API, TEAM = "component:default/web", "api:default/web", "group:default/team"
PLACE = "url:https://git.example.org/org/repo/blob/main/web.yaml"


def effect(**parts):
    written = {
        "entities": [],
        "relations": {"added": [], "removed": []},
        "dangling": [],
        "ownership": [],
        "problems": [],
        "files": {"unknown": [], "skipped": []},
        **parts,
    }
    counts = {
        f"{operation}d": sum(e["operation"] == operation for e in written["entities"])
        for operation in ("create", "update", "delete")
    }
    return {"summary": {**counts, "hidden": 0, **concerns(written)}, **written}


def entity(ref=WEB, operation="update", *changes, location=PLACE):
    return {"ref": ref, "operation": operation, "location": location, "changes": list(changes)}


def change(pointer, operation="replace", before=None, after=None, **more):
    return {"pointer": pointer, "operation": operation, "before": before, "after": after, **more}


def problem(message="it is wrong", kind="invalid", **more):
    return {
        "kind": kind, "name": "InputError", "message": message, "location": PLACE, "line": None,
        "column": None, "pointer": "", "ref": None, "isNew": True, **more,
    }  # fmt: skip


def relation(source=WEB, type="dependsOn", target=API):  # noqa: A002 - what it is called
    return {"source": source, "type": type, "target": target}


def owners(*after, before=(TEAM,), ref=WEB):
    return {"ref": ref, "before": list(before), "after": list(after), "isLost": not after}
