"""What ``engine.bench`` found, for a terminal."""

from gffn_core.engine.bench import CONTENDERS


def text(measured: dict) -> str:
    """Tables of speed and memory, of what losses cost, and of the least a step can take."""
    where = measured["provenance"]
    lines = [
        f"{where['hardware']} ({where['device']}), torch {where['torch']}, width {measured['width']}",
        "",
        "Model-images a second (peak memory), and ours over each:",
        f"{'batch':>6}" + "".join(f"{name:>26}" for name in CONTENDERS),
    ]
    for row in measured["contenders"]:
        line, ours = f"{row['batch_size']:6}", row["gffn"].get("images_a_second")
        for name in CONTENDERS:
            if "failed" in row[name]:
                line += f"{'failed':>26}"
            else:
                speed, memory = row[name]["images_a_second"], row[name]["peak_memory"]
                ratio = f" {ours / speed:5.2f}x" if name != "gffn" and ours else ""
                line += f"{f'{speed:,.0f} ({memory / 2**30:.1f} GiB){ratio}':>26}"
        lines.append(f"{line}  {row['gffn'].get('how', '')}")
        lines += [f"       {name}: {row[name]['failed']}" for name in CONTENDERS if "failed" in row[name]]
    lines += ["", "Time of a step, joint over conditional loss:"]
    lines += [f"{row['batch_size']:6} {row['joint_over_conditional']:8.3f}" for row in measured["overhead"]]
    ways = measured["ways"]
    lines += ["", f"Time of a step over that of the standard net, batch size {ways['batch_size']}:"]
    lines += [f"{name:>24} {ratio:8.3f}" for name, ratio in ways["over_standard"].items()]
    lines += ["", "Growth: model-images a second by batch size and stack:"]
    lines += [
        f"{row['batch_size']:6} {row['stack']:4} {row['images_a_second']:12,.0f}"
        for row in measured["growth"]
    ]
    floor = measured["floor"]
    peaks = ", ".join(f"{name} {peak / 1e9:,.0f} GFLOP/s" for name, peak in floor["peak"].items())
    lines += [
        "",
        f"Floor of one model's step at the measured peaks ({peaks}, {floor['bandwidth'] / 1e9:.0f} GB/s):",
    ]
    for row in floor["steps"]:
        least = max(row["seconds_operations"], row["seconds_bytes"])
        lines.append(
            f"{row['batch_size']:6} {row['operations'] / 1e6:9,.1f} MFLOP {row['bytes'] / 1e6:8,.1f} MB: "
            f"at least {1e3 * least:8.3f} ms, takes {1e3 * row['seconds']:8.3f} ms ({row['precision']})"
        )
    lines += ["", "bfloat16 minus float32, trained on the digits, and the spread over seeds:"]
    lines += [
        f"{row['metric']:>14} {row['difference']:+.4f} +- {row['half']:.4f}  {row['seed_spread']:.4f}"
        for row in measured["precision"]
    ]
    return "\n".join(lines)
