"""What stands between the try-on and the internet: accounts, limits, the queue, the REST door, health and figures.

Knows HTTP but nothing of gradio; `catvton.web` brings both together. Everything here is put together by
`catvton.service.app.Service`.
"""
