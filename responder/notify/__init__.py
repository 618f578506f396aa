"""Tell people: the owner by mail, the security team through its channels.

The only place that knows SMTP, Apprise and the templates. It says what the
incident shows and no more; when to tell whom, and how often to try again, is
decided elsewhere. Nothing sent from here holds a token.
"""

from responder.notify.channels import Channels
from responder.notify.mail import Mailer
from responder.notify.message import Message, render

__all__ = ["Channels", "Mailer", "Message", "render"]
