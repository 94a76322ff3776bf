import CICU
import CJavaScriptCore
import Crypto
import GRDB
import Logging
