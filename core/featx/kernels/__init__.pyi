from .compiling import kernel as kernel
from .compiling import part as part
