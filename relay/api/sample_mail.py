"""A mail to try things out with: text, HTML with a picture of its own, a file, a link and a one-time code."""

from __future__ import annotations

import secrets
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path

_PICTURE = (Path(__file__).parent / "sample.png").read_bytes()
_SENDER = "Sample Shop <shop@example.org>"
_LINK = "https://shop.example.org/confirm/{token}"

_TEXT = """\
Hello,

somebody pressed a button to see a mail arrive, and here it is.

Your one-time code is {code}. To confirm with a link instead:
{link}

It came in through the same door as every other mail,
as one message of text, HTML, a picture and a file.
"""

_HTML = """\
<!doctype html>
<html lang="en">
<body style="margin:0;padding:24px;background:#f4f3ee;font-family:Helvetica,Arial,sans-serif;color:#1b2320">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0"><tr><td align="center">
<table role="presentation" cellpadding="0" cellspacing="0" \
style="max-width:480px;background:#ffffff;border:1px solid #d9d6cb;border-radius:12px">
<tr><td style="padding:32px">
<img src="cid:{picture}" width="64" height="64" alt="An envelope" style="border-radius:12px">
<h1 style="margin:20px 0 8px;font-size:22px">Here is your mail</h1>
<p style="margin:0 0 16px;line-height:1.5">Somebody pressed a button to see a mail arrive. Your one-time code is</p>
<p style="margin:0 0 16px;font-size:30px;letter-spacing:6px;font-weight:bold;color:#0a6758">{code}</p>
<p style="margin:0 0 24px;line-height:1.5">or confirm with a link:
<a href="{link}" style="color:#0a6758">{link}</a></p>
<p style="margin:0;font-size:13px;line-height:1.5;color:#515b56">It came in through the same door as every other mail,
as one message of text, HTML, a picture and a file.</p>
</td></tr></table></td></tr></table>
</body>
</html>
"""

_FILE = "item;pieces;price\r\nenvelope;2;0.40\r\nstamp;2;1.90\r\n"


def build(recipient: str, now: datetime) -> bytes:
    """A new mail to a canonical address, with CRLF. ``now`` is aware."""
    token = secrets.token_hex(8)
    words = {"code": f"{secrets.randbelow(1_000_000):06}", "link": _LINK.format(token=token)}
    picture = f"picture.{token}@example.org"
    mail = EmailMessage(policy=SMTP)
    mail["From"] = _SENDER
    mail["Subject"] = f"Sample: your one-time code is {words['code']}"
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = f"<{token}@example.org>"
    mail.set_content(_TEXT.format(**words))
    mail.add_alternative(_HTML.format(picture=picture, **words), subtype="html")
    *_, html = mail.iter_parts()
    html.add_related(_PICTURE, "image", "png", cid=f"<{picture}>", filename="envelope.png", disposition="inline")
    mail.add_attachment(_FILE, subtype="csv", filename="order.csv")
    # As written: an address that the email package cannot take apart is still one of ours.
    return b"To: " + recipient.encode() + b"\r\n" + mail.as_bytes()
