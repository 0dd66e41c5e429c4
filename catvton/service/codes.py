"""Every code an error of the doors can have, with what it means. Codes are stable: programs may rely on them."""

from __future__ import annotations

# Of the gradio endpoints they are the error's title, of the REST door the problem's "code".
CODES = {
    # The pictures.
    "image.missing": "A photo that is needed was not sent.",
    "image.type": "What was sent as a picture is none: a link, a folder, text.",
    "image.not_uploaded": "The file named is no upload of yours.",
    "image.gone": "The upload was used already: uploads are removed once they are read.",
    "image.empty_file": "The file is empty.",
    "image.format": "The file is no picture of a kind that is accepted.",
    "image.broken": "The file is damaged or incomplete.",
    "image.mode": "The picture's pixels are of a kind that is not accepted.",
    "image.too_small": "The picture has too few pixels.",
    "image.too_large": "The picture has too many pixels.",
    "image.too_heavy": "The file is too large.",
    "mask.empty": "The mask marks nothing.",
    "mask.full": "The mask marks the whole picture.",
    "mask.size": "The mask is not of the photo's shape.",
    "person.not_found": "No person was found in the photo.",
    "part.not_visible": "The photo does not show the part that is to be changed.",
    # The options.
    "option.part": "This part is not possible; the message says which are.",
    "option.steps": "So many steps are not possible; the message says how many are.",
    "option.guidance": "This guidance is not possible; the message says which is.",
    "option.seed": "This seed is not possible; the message says which are.",
    "option.show": "This view is not possible; the message says which are.",
    "option.engine": "There is no such engine; the message says which there are.",
    "option.size": "The engine does not work at this size; the message says at which it does.",
    "option.variations": "So many variations are not possible; the message says how many are.",
    "option.pictures": "JSON carries pictures as base64 or as url.",
    "option.picture": "There is no variation of that number.",
    "accept.type": "Accept wants neither a picture nor JSON.",
    # The form.
    "form.type": "The body is no multipart/form-data.",
    "form.broken": "The form's parts do not fit its boundary.",
    "form.unknown": "The form has a field that is not known.",
    "form.repeated": "A field was sent more than once.",
    "form.too_large": "A file, or the whole request, is too large.",
    "form.slow": "The form took too long to arrive.",
    # The caller.
    "account.missing": "Sign in, or send an API key.",
    "account.key": "The API key is not known, or was revoked.",
    "accounts.away": "Accounts cannot be looked up just now.",
    "login.throttled": "There were too many wrong passwords.",
    "limit.reached": "As many pictures as are allowed were made.",
    "queue.full": "As many requests as may are waiting already.",
    # The work.
    "engine.missing": "Files of the engine are missing on our side.",
    "engine.memory": "The engine has too little memory for this picture.",
    "engine.gpu": "No graphics card can be borrowed just now (ZeroGPU); the message says why.",
    "moderation.person": "The photo of the person was refused.",
    "moderation.garment": "The photo of the garment was refused.",
    "moderation.result": "The result was withheld.",
    "result.withheld": "The safety checker withheld every result.",
    "run.stopped": "The run was stopped.",
    "server.closing": "The server is about to end; try again in a minute.",
    "server.failed": "A fault on our side; the message has its number in the log.",
    # Jobs, and addresses.
    "job.unknown": "There is no such job, or no more, or it is another account's.",
    "job.unfinished": "The job is not done yet, or never will be.",
    "jobs.away": "Jobs of other replicas cannot be looked up just now.",
    "http.404": "There is no such address.",
    "http.405": "The address does not take that method.",
}  # fmt: skip
