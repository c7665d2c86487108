"""Where a result came from: code, machine, time and weights."""

import datetime
import hashlib
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch


def weights_sha256(model: torch.nn.Module) -> str:
    """SHA-256 of all parameters, float32 and contiguous, in the order of the state dict."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(name.encode())
        digest.update(value.float().contiguous().cpu().numpy())
    return digest.hexdigest()


def provenance(device: torch.device, seconds: float) -> dict:
    """Where, when and with what something was computed."""
    return {
        "code": code_version(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": device.type,
        "hardware": torch.cuda.get_device_name(device) if device.type == "cuda" else processor(),
        "threads": torch.get_num_threads(),
        "seconds": round(seconds, 2),
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def processor() -> str:
    """Name of the CPU and the number of cores this process may use."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        name = lines[0].split(":", 1)[1].strip() if lines else name
    return f"{name}, {os.cpu_count()} cores"


def code_version() -> str:
    """Commit of this package's checkout (``-dirty`` with uncommitted changes), else the release."""
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / ".git").exists():
        try:
            command = "git describe --always --dirty --abbrev=10".split()
            return subprocess.check_output(
                command, cwd=checkout, stderr=subprocess.DEVNULL, text=True, timeout=10
            ).strip()
        except (OSError, subprocess.SubprocessError):
            pass
    try:
        return version("gffn-core")
    except PackageNotFoundError:
        return "unknown"
