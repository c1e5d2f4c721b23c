"""The processes of a running platform: web workers, the background worker, their supervisor."""
