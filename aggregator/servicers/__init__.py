"""The gRPC services of proto/merit/v1: thin, one a file."""
