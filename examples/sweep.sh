#!/bin/bash
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --gpus-per-node=4
#SBATCH --time=24:00:00
#SBATCH --requeue
# The sweep on all machines of a SLURM allocation.
# The same command again goes on.
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
srun ray symmetric-run \
    --address "$head:6379" --min-nodes "$SLURM_NNODES" -- \
    gffn sweep thesis --engine ray --address auto \
    --results "$HOME/gffn-results"
