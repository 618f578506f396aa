"""Alembic's entry point: the connection is handed in by `Store.upgrade`."""

from alembic import context

from responder.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
