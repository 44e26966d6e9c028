"""`/cluster/resources` keeps thinkube-control's units, shapes and way of counting."""

from __future__ import annotations

from typing import Any

import pytest

from local.control.resources import format_memory, node_resources, parse_cpu, parse_memory


def test_capacity_limits_of_running_pods_and_the_rest(cluster: Any) -> None:
    cluster.add_node("node-1", "8", "32827392Ki")
    cluster.add_pod("node-1", cpu="1500m", memory="2Gi")
    cluster.add_pod("node-1", memory="512Mi")
    cluster.add_pod("node-1")
    cluster.add_pod("elsewhere", cpu="4")
    cluster.add_pod(None, cpu="4")
    assert node_resources(cluster.node_list, cluster.pod_list) == [
        {
            "name": "node-1",
            "capacity": {"cpu": 8, "memory": "31Gi", "gpu": 0, "effective_gpu": 0},
            "allocated": {"cpu": 1.5, "memory": "2Gi", "gpu": 0},
            "available": {"cpu": 6.5, "memory": "28Gi", "gpu": 0},
            "gpu_details": [],
        }
    ]


def test_more_than_there_is_leaves_nothing_not_less(cluster: Any) -> None:
    cluster.add_node("node-1", "1", "1Gi")
    cluster.add_pod("node-1", cpu="2", memory="3Gi")
    assert node_resources(cluster.node_list, cluster.pod_list)[0]["available"] == {
        "cpu": 0,
        "memory": "0",
        "gpu": 0,
    }


def test_simulated_gpus_are_unknown_ones(cluster: Any) -> None:
    cluster.add_node("gpu-1", "4", "8Gi", **{"nvidia.com/gpu": "2"})
    cluster.add_pod("gpu-1", **{"nvidia.com/gpu": "1"})
    node = node_resources(cluster.node_list, cluster.pod_list)[0]
    assert (node["capacity"]["gpu"], node["capacity"]["effective_gpu"], node["available"]["gpu"]) == (2, 2, 1)
    assert [detail["available"] for detail in node["gpu_details"]] == [False, True]
    assert node["gpu_details"][0]["model"] == "Unknown GPU"
    assert node["gpu_details"][0]["memory_total"] == "Unknown"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("16Gi", 2**34),
        ("1.5Gi", 3 * 2**29),
        ("128974848", 128974848),
        ("1G", 10**9),
        ("128974848000m", 128974848),
    ],
)
def test_memory_quantities(text: str, count: int) -> None:
    assert parse_memory(text) == count


@pytest.mark.parametrize(
    ("count", "text"), [(2**30 - 1, "1023Mi"), (2**31, "2Gi"), (1536, "1Ki"), (5, "5"), (0, "0")]
)
def test_memory_is_rounded_down(count: int, text: str) -> None:
    assert format_memory(count) == text


def test_cpu_quantities() -> None:
    assert [parse_cpu(text) for text in ("4", "1500m", "2000m")] == [4, 1.5, 2]
    assert isinstance(parse_cpu("2000m"), int)
