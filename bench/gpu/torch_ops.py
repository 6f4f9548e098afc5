#!/usr/bin/env python3
"""Times PyTorch's equivalents of the ops in ops_bench.cu at the same sizes, and writes one Markdown table of both.

Usage: torch_ops.py OPS.tsv OUT.md     (OPS.tsv as ops_bench wrote it in the same run)
Without torch or a GPU the table has our columns only. Medians of 30 runs between CUDA events, inputs rotated.
"""
import statistics
import sys

RUNS = 30
T, D = 32768, 1024


def median_us(torch, sets, run):
    events = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(RUNS)]
    for i in range(2 * sets + 2):
        run(i % sets)
    torch.cuda.synchronize()
    for i, (begin, end) in enumerate(events):
        begin.record()
        run(i % sets)
        end.record()
    torch.cuda.synchronize()
    return 1000 * statistics.median(b.elapsed_time(e) for b, e in events)


def linear(torch, times, name, rows, width, outputs):
    bf16 = dict(device="cuda", dtype=torch.bfloat16)
    w = torch.randn(outputs, width, **bf16) * 0.03
    x = [torch.randn(rows, width, **bf16) for _ in range(3)]
    dy = [torch.randn(rows, outputs, **bf16) * 0.01 for _ in range(3)]
    y = torch.empty(rows, outputs, **bf16)
    dx, dw = torch.empty(rows, width, **bf16), torch.empty(outputs, width, **bf16)
    times[f"linear {name} forward"] = median_us(torch, 3, lambda i: torch.mm(x[i], w.t(), out=y))
    times[f"linear {name} dgrad"] = median_us(torch, 3, lambda i: torch.mm(dy[i], w, out=dx))
    times[f"linear {name} wgrad"] = median_us(torch, 3, lambda i: torch.mm(dy[i].t(), x[i], out=dw))


def rmsnorm(torch, times, compiled):
    F = torch.nn.functional
    norm = lambda x, r, w: (lambda s: (s, F.rms_norm(s, (D,), w, 1e-6)))(x + r)
    if compiled:
        norm = torch.compile(norm)
    bf16 = dict(device="cuda", dtype=torch.bfloat16)
    w = torch.randn(D, **bf16, requires_grad=True)
    x = [torch.randn(T, D, **bf16, requires_grad=True) for _ in range(3)]
    r = [torch.randn(T, D, **bf16) for _ in range(3)]
    dy, ds = torch.randn(T, D, **bf16), torch.randn(T, D, **bf16)
    outputs = {}
    def forward(i):
        outputs[i] = norm(x[i], r[i], w)
    def backward(i):
        torch.autograd.grad(outputs[i], (x[i], w), (ds, dy), retain_graph=True)
    suffix = "compile" if compiled else "eager"
    times[f"rmsnorm.forward {suffix}"] = median_us(torch, 3, forward)
    times[f"rmsnorm.backward {suffix}"] = median_us(torch, 3, backward)


def cross_entropy(torch, times, rows, vocab, compiled):
    F = torch.nn.functional
    loss_of = lambda z, t: F.cross_entropy(z.float(), t, reduction="sum", ignore_index=-1)
    if compiled:
        loss_of = torch.compile(loss_of, dynamic=False)
    t = torch.randint(0, vocab, (rows,), device="cuda")
    z = [(3 * torch.randn(rows, vocab, device="cuda")).requires_grad_() for _ in range(2)]
    def step(i):
        torch.autograd.grad(loss_of(z[i], t), z[i])
    times[f"cross_entropy in one pass {rows}x{vocab} {'compile' if compiled else 'eager'}"] = median_us(torch, 2, step)


def adamw(torch, times):
    p = torch.nn.Parameter(torch.randn(981_000_000, device="cuda"))
    p.grad = torch.randn_like(p)
    optimizer = torch.optim.AdamW([p], lr=3e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    times["adamw fused"] = median_us(torch, 1, lambda i: optimizer.step())


def torch_times(rows):
    """Microseconds by name; what fails is said and left out."""
    times, notes = {}, []
    try:
        import torch
        if not torch.cuda.is_available():
            raise RuntimeError("torch sees no GPU")
    except Exception as e:  # the table still has our figures
        return times, [f"torch was not timed: {e}"]
    notes.append(f"torch {torch.__version__}, CUDA {torch.version.cuda}, {torch.cuda.get_device_name()}")
    jobs = []
    for name, shape in rows:
        if name.startswith("linear ") and name.endswith(" forward"):
            t, k, n = map(int, shape.split("x"))
            what = name[len("linear "):-len(" forward")]
            jobs.append((name, lambda what=what, t=t, k=k, n=n: linear(torch, times, what, t, k, n)))
    for compiled in (False, True):
        jobs.append(("rmsnorm", lambda c=compiled: rmsnorm(torch, times, c)))
        for rows_, vocab in ((8192, 32768), (2048, 129280)):
            jobs.append(("cross_entropy", lambda c=compiled, r=rows_, v=vocab: cross_entropy(torch, times, r, v, c)))
    jobs.append(("adamw", lambda: adamw(torch, times)))
    for name, job in jobs:
        try:
            job()
        except Exception as e:
            notes.append(f"torch {name}: {type(e).__name__}: {str(e).splitlines()[0]}")
        torch.cuda.empty_cache()
    return times, notes


def torch_cell(name, shape, times):
    """The best of torch's ways, in microseconds and named."""
    cells = []
    for key, us in times.items():
        for variant in ("", " eager", " compile", " fused"):
            if key in (name + variant, f"{name} {shape}{variant}"):
                cells.append((us, variant.strip()))
    return ", ".join(f"{us:.0f}" + (f" {variant}" if variant else "") for us, variant in cells) or "–"


def main():
    ours = []
    for line in open(sys.argv[1]):
        name, shape, us, flops, size = line.rstrip("\n").split("\t")
        ours.append((name, shape, float(us), float(flops), float(size)))
    ceilings = {name: (us, flops, size) for name, _, us, flops, size in ours if name.startswith("ceiling")}
    copy = ceilings["ceiling copy"][2] / ceilings["ceiling copy"][0] / 1e3
    product = ceilings["ceiling product"][1] / ceilings["ceiling product"][0] / 1e6
    tuned = {(n[:-len(" tuned")], s): us for n, s, us, _, _ in ours if n.endswith(" tuned")}
    rows = [r for r in ours if not r[0].startswith("ceiling") and not r[0].endswith(" tuned")]
    times, notes = torch_times([(r[0], r[1]) for r in rows])
    out = [f"Ceilings of this run: copy {copy:.0f} GB/s (read + written), 8192^3 bf16 product {product:.0f} TFLOP/s.", "",
           "| op | shape | µs | GB/s | TFLOP/s | of ceiling | tuned µs | torch µs |", "|---|---|---|---|---|---|---|---|"]
    for name, shape, us, flops, size in rows:
        gbs, tflops = size / us / 1e3, flops / us / 1e6
        best = tuned.get((name, shape))
        of = max(gbs / copy, tflops / product if name.startswith("linear") else 0)
        kind = "product" if name.startswith("linear") and tflops / product >= gbs / copy else "copy"
        out.append(f"| {name} | {shape} | {us:.1f} | {gbs:.0f} | {tflops:.1f} | {100 * of:.0f} % {kind} | "
                   f"{f'{best:.1f}' if best else '–'} | {torch_cell(name, shape, times)} |")
    out += ["", "Our wgrad adds to an f32 gradient and the head's logits are f32; torch's are bf16. tuned: the fastest of eight "
            "algorithms instead of the library's first."] + notes
    text = "\n".join(out) + "\n"
    open(sys.argv[2], "w").write(text)
    print(text)


main()
