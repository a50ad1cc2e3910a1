"""Devices, their names and their memory."""

import platform
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from eae_core import hardware
from eae_core.hardware import describe_device, peak_memory_bytes, resolve_device


def pretend_gpus(monkeypatch, count):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)


def test_auto_is_the_gpu_if_there_is_one(monkeypatch):
    pretend_gpus(monkeypatch, 2)
    assert resolve_device("auto") == torch.device("cuda", 0)
    assert resolve_device("cuda:1") == torch.device("cuda", 1)
    assert resolve_device(torch.device("cuda")) == torch.device("cuda", 0)
    pretend_gpus(monkeypatch, 0)
    assert resolve_device("auto") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:-1", "cpu:3", "", "cuda:one"])
def test_an_unknown_device_says_which_there_are(name, monkeypatch):
    pretend_gpus(monkeypatch, 1)
    with pytest.raises(ValueError, match="choose auto, cpu, cuda or cuda:N"):
        resolve_device(name)


@pytest.mark.parametrize(("name", "count"), [("cuda", 0), ("cuda:2", 2)])
def test_a_gpu_that_is_not_there_says_what_to_use(name, count, monkeypatch):
    pretend_gpus(monkeypatch, count)
    with pytest.raises(ValueError, match=f"torch sees {count} GPUs: use cpu or auto"):
        resolve_device(name)


def test_descriptions_do_not_name_the_machine(monkeypatch):
    words = describe_device("cpu")
    assert words.endswith(f"({platform.machine()})")
    assert int(words.split()[0]) >= 1
    assert socket.gethostname() not in words
    pretend_gpus(monkeypatch, 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"NVIDIA {device.index}")
    assert describe_device("auto") == "NVIDIA 0"


def test_peak_memory_of_the_process_is_what_the_kernel_counts():
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("only Linux shows a process's peak memory in /proc")
    (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
    kibibytes = int(line.split()[1])
    assert peak_memory_bytes(torch.device("cpu")) == pytest.approx(1024 * kibibytes, rel=0.05)


def test_peak_memory_on_a_gpu_is_what_torch_counts(monkeypatch):
    asked = []
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", asked.append)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 7)
    device = torch.device("cuda", 0)
    hardware.reset_peak_memory(device)
    assert asked == [device]
    assert peak_memory_bytes(device) == 7


# In a process of its own: what another test left on the heap may keep memory without being asked.
FREED = """
import resource
import torch
from eae_core.hardware import freed_memory_kept

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(12_000_000).sum()  # 48 MB, above the most that glibc keeps by itself
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

with freed_memory_kept():
    faults()  # until the heap has its size
    kept = faults()
print(kept, faults())
"""


def test_freed_memory_stays_with_the_process_only_within_the_block():
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("only glibc can be told to keep freed memory")
    said = subprocess.check_output([sys.executable, "-c", FREED], text=True)
    kept, usual = map(int, said.split())
    assert kept < 0.1 * usual
