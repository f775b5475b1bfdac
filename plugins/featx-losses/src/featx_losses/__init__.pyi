import featx

from .classes import BinaryCrossEntropy as BinaryCrossEntropy
from .classes import CrossEntropy as CrossEntropy
from .classes import ProxyBCE as ProxyBCE
from .composed import ComposedLoss as ComposedLoss
from .contrast import InfoNCE as InfoNCE
from .contrast import NTXent as NTXent
from .distances import Cosine as Cosine
from .distances import Distance as Distance
from .distances import Euclidean as Euclidean
from .hinge import BatchHinge as BatchHinge
from .hinge import TripletHinge as TripletHinge
from .miners import AllNegatives as AllNegatives
from .miners import HardestNegative as HardestNegative
from .miners import Miner as Miner
from .miners import SemihardNegatives as SemihardNegatives
from .reducers import ActiveMean as ActiveMean
from .reducers import Mean as Mean
from .reducers import Reducer as Reducer
from .reducers import RowMean as RowMean
from .reducers import Sum as Sum

def featx_losses() -> list[featx.LossSpec]: ...
