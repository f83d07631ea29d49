"""The CustomResourceDefinition of CryptoFeed, made from the feed's model."""

from cryptocdc_core.feed.model import API_VERSION

GROUP, VERSION = API_VERSION.split("/")
PLURAL = "cryptofeeds"
