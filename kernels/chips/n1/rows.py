"""Names of the rows of the Catalyst N1's arrays, and its fixed depths."""

from __future__ import annotations

from typing import Any, NamedTuple


def _rows(name: str, fields: str) -> Any:
    """A named tuple whose fields are 0, 1, 2, ...: constants to compiled code."""
    names = fields.split()
    return NamedTuple(name, [(field, int) for field in names])(*range(len(names)))  # type: ignore[misc]


#: Sizes of a chip. CORES are emulated, ALL_CORES are there (the route walk looks at all of them).
X = _rows("Sizes", "CORES NEURONS PLACES POOL_MASK COUNT_BITS FAN_IN SLOT_MASK COLUMNS LINES LINK ALL_CORES COUNT")
#: State of a neuron; T1 .. T1 + 4 are the traces x1, y1, x2, y2, y3.
N = _rows("Neuron", "V U REF ACC D1 D2 D3 T1 T2 T3 T4 T5 COUNT STAMP THR MARK ROWS")
#: Parameters of a neuron; TAU .. TAU + 4 belong to the traces, H .. H + 2 to the dendrites.
P = _rows(
    "Parameter",
    "LEAK REST PERIOD RELATIVE NOISE NOISE_TO TAU TAU_2 TAU_3 TAU_4 TAU_5 H H_2 H_3 TARGET_RATE ETA TREE DECAY_V "
    "DECAY_U BIAS BIAS_WORD CUBA PARENT JOIN STACK ROOT AXON_TYPE VMIN VMAX ROWS",
)
#: A pool entry.
S = _rows("Synapse", "TARGET WEIGHT COMPARTMENT DELAY TAG ELIGIBILITY ROWS")
#: Registers of a core. MARKED and PULSES count within a timestep; PRODUCED and RESTART belong to the event-driven mode.
R = _rows(
    "Register",
    "LFSR EPOCH TSIE REWARD INTERVAL PASSES REWARD_TAU SLOT POOL_USED SIDE WAITING MARKED PULSES SPIKES CYCLES SYNOPS "
    "PRODUCED RESTART DEBUG_ON DEBUG_HEAD DEBUG_COUNT STEPS LAST COUNT",
)
#: Registers of the chip. EDGE: clock edges since reset at the end of the last timestep (mesh); ERROR: core that hangs.
C = _rows("ChipRegister", "SPIKES ENERGY STEPS WAITING EDGE REWARD STALL ERROR REGISTERS")
#: What is counted besides the RTL's own counters: losses, and work of the learning engine.
ADDED = _rows(
    "Added",
    "SPIKES_LOST DELAYS_LOST PACKETS_LOST INPUTS_LOST OVERWRITTEN REVERSE_LOST ACTIVE LEARNED INSTRUCTIONS "
    "WEIGHTS_WRITTEN LINK_LOST COUNT",
)

NEURON_ROWS, PARAM_ROWS, REGISTERS, TALLIES = N.ROWS, P.ROWS, R.COUNT, ADDED.COUNT
OP_POOL, OP_INDEX, OP_LOCAL, OP_GLOBAL, OP_DELAY, OP_PROGRAM, OP_PARAMETER = range(1, 8)
DEPTH = 64  #: spikes per core and timestep, entries of a delay queue, delay queues
LOCAL_SLOTS, GLOBAL_SLOTS = 8, 4
SLOTS = LOCAL_SLOTS + GLOBAL_SLOTS
PC_COUNT = 256  #: instructions of a learning program
INJECT_DEPTH = 512  #: packets between two timesteps
INPUT_DEPTH = 8  #: packets and stimuli waiting for a core in the event-driven mode
LINK_DEPTH = 256  #: packets waiting for the chip link
LEARN, GRADED, DENDRITIC, ASYNC, THREE_FACTOR, NOISE, SKIP_IDLE, SCALE_U = (1 << k for k in range(8))
THRESHOLD = 1000  #: compile-time; homeostasis keeps thresholds in THRESHOLD / 4 .. 4 * THRESHOLD
SPIKE_TRACE = 100  #: what a spike sets all five traces to
WEIGHT_MAX = 2000  #: the eligibility phase clips weights to 0 .. this
LTD, LTP, LTD_3, LTP_3 = 0, 64, 128, 192  #: where the learning programs start
