"""What both ends of the wire do in the same way: a task's terms, messages, chunks and refusals."""
