"""What arms do to a placed garment: short sleeves end above the forearm, and a sleeve lies apart from the torso."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from model.beneath import Beneath

HEM = 0.05  # of an arm's length: over this a sleeve's end fades
FOLD = 0.008  # of the frame's height: how wide the shadow between a sleeve and the torso is
ARMPIT = 0.2  # of an arm's length: from here on the shadow deepens
DARK = 0.22  # how much darker its middle is


def bare(under: Beneath, reach: float) -> np.ndarray:
    """float32 (H, W) in 0..1: where a garment leaves the arm bare whose sleeves cover the share `reach` of one."""
    beyond = (under.along.astype(np.float32) / 100 - reach) / HEM
    return np.where(under.sleeve, np.clip(beyond, 0, 1), np.float32(0))


def sleeved(under: Beneath, reach: float) -> Beneath:
    """The same with arms that must be covered as far as such sleeves go, and with none of their old clothes beyond."""
    within = under.along <= 100 * reach
    covered = under.sleeve & ~under.behind & within
    return replace(under, least=under.least | covered, worn=under.worn & (within | ~under.sleeve))


def crease(under: Beneath) -> np.ndarray:
    """float32 (H, W): 1, less where a sleeve and the torso meet: cloth is darker there."""
    sleeve = under.sleeve.astype(np.uint8)
    others = (under.least & ~under.sleeve).astype(np.uint8)
    near = cv2.dilate(sleeve, np.ones((3, 3), np.uint8)) & cv2.dilate(others, np.ones((3, 3), np.uint8))
    if not near.any():
        return np.ones(sleeve.shape, np.float32)
    apart = cv2.distanceTransform(1 - near, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    begun = np.clip((under.along.astype(np.float32) - 100 * ARMPIT) / 25, 0, 1)
    return 1 - DARK * begun * np.exp(-np.square(apart / (FOLD * sleeve.shape[0])))
