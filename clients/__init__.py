"""What users import: trainers and owners of tasks."""
