"""Under which names objects are held in stores."""


def holder_of(task_id: int) -> str:
    """A task's objects: as long as it holds them, no store collects them."""
    return f"task-{task_id}"
