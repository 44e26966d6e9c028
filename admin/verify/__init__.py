"""`verify`: the proof after a deploy that everything which the hub stands on is there and works.

Read-only but for one throw-away notebook server. Every check has a code; docs/verify.md says what each proves.
"""
