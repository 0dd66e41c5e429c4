"""The gate: one at a time, first come first served, only so many waiting, and nobody left behind when it closes."""

import threading
import time

import pytest

from catvton.service.gate import Gate
from catvton.service.refusals import Closing, QueueFull


def test_the_first_has_its_turn_and_the_others_know_their_place():
    gate = Gate(2)
    tickets = [gate.enter() for _ in range(3)]
    assert [ticket.place for ticket in tickets] == [0, 1, 2] and (gate.running, gate.waiting) == (1, 2)
    assert tickets[0].wait(0) and not tickets[1].wait(0)
    tickets[0].leave()
    assert tickets[1].wait(0) and [ticket.place for ticket in tickets[1:]] == [0, 1]
    tickets[2].leave()  # gave up while waiting
    tickets[1].leave()
    tickets[1].leave()
    assert (gate.running, gate.waiting) == (0, 0)


def test_one_too_many_is_told_so_at_once_and_when_to_come_back():
    now = [0.0]
    gate = Gate(1, clock=lambda: now[0])
    with gate.enter():
        now[0] = 40.0  # where 10 had been guessed
    with gate.enter(), gate.enter():
        with pytest.raises(QueueFull, match=r"1 are waiting already.*in 18 seconds") as caught:
            gate.enter()
        with pytest.raises(QueueFull):
            gate.check()
    assert caught.value.code == "queue.full" and caught.value.wait_seconds == 18


def test_never_two_at_once_and_everybody_in_their_order():
    gate, at_work, served, most = Gate(40), [], [], []
    tickets = [gate.enter() for _ in range(20)]

    def work(number):
        with tickets[number] as ticket:
            while not ticket.wait(0.5):
                pass
            at_work.append(number)
            most.append(len(at_work))
            time.sleep(0.001)
            at_work.remove(number)
            served.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in reversed(range(20))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert served == list(range(20)) and set(most) == {1}


def test_closing_sends_the_waiting_away_and_lets_the_one_at_work_finish():
    gate = Gate(5)
    first, second = gate.enter(), gate.enter()
    told = []

    def wait():
        try:
            second.wait(300)
        except Closing as closing:
            told.append(closing)
            second.leave()

    waiter = threading.Thread(target=wait)
    waiter.start()
    gate.close()
    waiter.join(300)
    assert told[0].code == "server.closing" and told[0].wait_seconds == 60
    with pytest.raises(Closing):
        gate.enter()
    assert first.wait(0) and not gate.drained(0)
    first.leave()
    assert gate.drained(0) and gate.closed
