"""What open pages have chosen: kept per session, bounded in bytes and in time."""

from catvton.web.shelf import Kept, Shelf


def kept(weight):
    return Kept(data=bytes(weight), size=(1, 1))


def test_sessions_do_not_see_each_other():
    shelf = Shelf()
    mine, yours = kept(1), kept(2)
    shelf.put("me", "person", mine)
    shelf.put("you", "person", yours)
    assert shelf.get("me", "person") is mine and shelf.get("you", "person") is yours
    assert shelf.get("me", "garment") is None and shelf.get("nobody", "person") is None


def test_leaving_forgets_everything_and_clearing_one_thing():
    shelf = Shelf()
    shelf.put("me", "person", kept(1))
    shelf.put("me", "garment", kept(1))
    shelf.drop("me", "person")
    assert shelf.get("me", "person") is None and shelf.get("me", "garment") is not None
    shelf.drop("me")
    shelf.drop("me")
    assert len(shelf) == 0


def test_the_longest_unused_gives_way_and_the_newest_stays():
    shelf = Shelf(max_bytes=100)
    for name in ("a", "b"):
        shelf.put(name, "person", kept(40))
    shelf.get("a", "person")
    shelf.put("c", "person", kept(40))
    assert shelf.get("b", "person") is None and shelf.get("a", "person") is not None
    shelf.put("huge", "person", kept(1000))
    assert shelf.get("huge", "person") is not None and len(shelf) == 1


def test_unused_sessions_are_forgotten_after_a_while():
    now = [0.0]
    shelf = Shelf(max_age=10, clock=lambda: now[0])
    shelf.put("old", "person", kept(1))
    now[0] = 8
    shelf.put("young", "person", kept(1))
    now[0] = 11
    assert shelf.get("young", "person") is not None
    assert len(shelf) == 1 and shelf.get("old", "person") is None
