"""A process that dresses people and records it until it is killed: `python -m tests.records_writer ADDRESS`."""

import sys

import torch

from catvton.records.database import url_engine
from catvton.records.keeper import Keeper
from catvton.records.store import Records
from catvton.result import TryOnRequest
from catvton.tryon import TryOn
from tests import tiny


def main() -> None:
    torch.set_num_threads(1)
    keeper = Keeper(Records(url_engine(sys.argv[1])))
    tryon = TryOn([tiny.tiny_engine()], tiny.TinyMasker(), recorder=keeper)
    request = TryOnRequest(person=tiny.person(), garment=tiny.garment(), steps=1, account="ann")
    while True:
        print(tryon.run(request).job_id, flush=True)


if __name__ == "__main__":
    main()
