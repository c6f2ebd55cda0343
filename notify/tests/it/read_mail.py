"""Reads mails with Python's own parser, which is no part of what wrote them: prints JSON for each file named."""
import email
import email.policy
import json
import sys

read = []
for name in sys.argv[1:]:
    mail = email.message_from_binary_file(open(name, "rb"), policy=email.policy.default)
    parts = {part.get_content_type(): part.get_content() for part in mail.walk() if not part.is_multipart()}
    headers = {key.lower(): str(value) for key, value in mail.items()}
    read.append({"headers": headers, "names": [key.lower() for key in mail.keys()], "parts": parts,
                 "defects": [str(defect) for part in mail.walk() for defect in part.defects]})
print(json.dumps(read))
