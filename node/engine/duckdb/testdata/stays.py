"""Writes the right values of enginetest.Stays with pyarrow, for TestRightValues: python3 stays.py, with pyarrow 26.

The file has two row groups, a dictionary and large strings. Ids are decimals, as in exports of Oracle. Times are in
nanoseconds, as pandas writes them. zones has the same instants with the hospital's time zone.
"""

from datetime import date, datetime, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq

rows = {
    "id": [1, 2, 3, 9223372036854775807],
    "code": ["007", "0712", "712", "a b"],
    "town": ["Orléans", None, "Saint-Étienne", 'L\'Haÿ, dit "les Roses"'],
    "weight": [74.5, None, 0.5, 120.0],
    "n": [3, None, -4, 9223372036854775807],
    "day": [date(2023, 3, 5), None, date(1931, 12, 31), date(9999, 12, 31)],
    "at": [datetime(2023, 3, 5, 14, 30), None, datetime(1931, 12, 31), datetime(2023, 7, 1, 23, 59, 59, 500000)],
    "dead": [True, None, False, False],
}


def table(zone):
    at = rows["at"] if zone is None else [t and t.replace(tzinfo=ZoneInfo(zone)).astimezone(timezone.utc) for t in rows["at"]]
    return pa.table(
        {
            "dead": pa.array(rows["dead"]),
            "id": pa.array([Decimal(i) for i in rows["id"]], pa.decimal128(19, 0)),
            "code": pa.array(rows["code"]).dictionary_encode(),
            "town": pa.array(rows["town"], pa.large_string()),
            "weight": pa.array(rows["weight"], pa.float64()),
            "n": pa.array(rows["n"], pa.int64()),
            "day": pa.array(rows["day"], pa.date32()),
            "at": pa.array(at, pa.timestamp("ns", tz=zone)),
        }
    )


pq.write_table(table(None), "pyarrow.parquet", row_group_size=3, compression="zstd")
pq.write_table(table("Europe/Paris"), "pyarrow-zones.parquet", row_group_size=3, version="1.0", data_page_version="2.0")
