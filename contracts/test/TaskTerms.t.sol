// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IMarket} from "../src/interfaces/IMarket.sol";
import {Bn254} from "../src/libraries/Bn254.sol";
import {TaskTerms} from "../src/libraries/TaskTerms.sol";
import {Point} from "../src/types/Point.sol";
import {TaskConfig} from "../src/types/Task.sol";
import {MarketFixture} from "./utils/MarketFixture.sol";

contract TaskTermsTest is MarketFixture {
    function requireValid(TaskConfig calldata config, bytes calldata cid, string calldata name)
        external
        view
    {
        TaskTerms.requireValid(config, cid, name);
    }

    function test_acceptsBothEndsOfEveryRange() public view {
        TaskConfig memory config = defaultConfig();
        _accept(config);
        (config.slots, config.quorum, config.rounds, config.bits) = (3, 1, 1, 4);
        (config.k, config.dim, config.fractionalBits) = (10, 1, 0);
        (config.commitWindowSeconds, config.settleWindowSeconds) = (1, 1);
        (config.rewardPerRoundWei, config.bondWei) = (1, 1);
        config.ruleParams = new uint256[](0);
        _accept(config);
        (config.slots, config.quorum, config.bits) = (32, 32, 16);
        (config.k, config.dim, config.fractionalBits) = (28, uint32(2 ** 28 - 518), 64);
        (config.commitWindowSeconds, config.settleWindowSeconds) = (365 days, 365 days);
        config.ruleParams = new uint256[](16);
        config.ruleParams[15] = Bn254.SCALAR_FIELD - 1;
        (config.rewardPerRoundWei, config.bondWei) = (2 ** 127 - 1, 2 ** 127);
        config.rounds = 1;
        _accept(config);
    }

    function test_namesTheFieldThatIsTooSmall() public {
        TaskConfig memory config = defaultConfig();
        config.aggregator = address(0);
        _tooSmall(config, "aggregator", 0, 1);
        config = defaultConfig();
        config.rewardPerRoundWei = 0;
        _tooSmall(config, "rewardPerRoundWei", 0, 1);
        config = defaultConfig();
        config.bondWei = REWARD - 1;
        _tooSmall(config, "bondWei", REWARD - 1, REWARD);
        config = defaultConfig();
        config.rounds = 0;
        _tooSmall(config, "rounds", 0, 1);
        config = defaultConfig();
        config.slots = 2;
        _tooSmall(config, "slots", 2, 3);
        config = defaultConfig();
        config.quorum = 0;
        _tooSmall(config, "quorum", 0, 1);
        config = defaultConfig();
        config.k = 9;
        _tooSmall(config, "k", 9, 10);
        config = defaultConfig();
        config.dim = 0;
        _tooSmall(config, "dim", 0, 1);
        config = defaultConfig();
        config.commitWindowSeconds = 0;
        _tooSmall(config, "commitWindowSeconds", 0, 1);
        config = defaultConfig();
        config.settleWindowSeconds = 0;
        _tooSmall(config, "settleWindowSeconds", 0, 1);
        config = defaultConfig();
        config.patience = 1;
        _tooSmall(config, "learningRate", 0, 1);
        config = defaultConfig();
        config.updateKey = 0;
        _tooSmall(config, "updateKey", 0, 1);
        config = defaultConfig();
        config.ruleVka = 0;
        _tooSmall(config, "ruleVka", 0, 1);
    }

    function test_namesTheFieldThatIsTooLarge() public {
        TaskConfig memory config = defaultConfig();
        config.slots = 33;
        _tooLarge(config, "slots", 33, 32);
        config = defaultConfig();
        config.quorum = 5;
        _tooLarge(config, "quorum", 5, 4);
        config = defaultConfig();
        config.rounds = 65_537;
        _tooLarge(config, "rounds", 65_537, 65_536);
        config = defaultConfig();
        config.k = 29;
        _tooLarge(config, "k", 29, 28);
        config = defaultConfig();
        config.dim = 2 ** 16 - 517;
        _tooLarge(config, "dim", config.dim, 2 ** 16 - 518);
        config = defaultConfig();
        config.fractionalBits = 65;
        _tooLarge(config, "fractionalBits", 65, 64);
        config = defaultConfig();
        config.commitWindowSeconds = 365 days + 1;
        _tooLarge(config, "commitWindowSeconds", 365 days + 1, 365 days);
        config = defaultConfig();
        config.settleWindowSeconds = 365 days + 1;
        _tooLarge(config, "settleWindowSeconds", 365 days + 1, 365 days);
        config = defaultConfig();
        config.ruleParams = new uint256[](17);
        _tooLarge(config, "ruleParams.length", 17, 16);
        config = defaultConfig();
        config.ruleParams[0] = Bn254.SCALAR_FIELD;
        _tooLarge(config, "ruleParams", Bn254.SCALAR_FIELD, Bn254.SCALAR_FIELD - 1);
    }

    function test_rewardAndBondTogetherFit128Bits() public {
        TaskConfig memory config = defaultConfig();
        (config.rewardPerRoundWei, config.bondWei, config.rounds) = (2 ** 127, 2 ** 127, 2);
        _tooLarge(config, "rewardPerRoundWei", 2 ** 128, 2 ** 128 - 1);
        config.rounds = 1;
        _tooLarge(config, "bondWei", 2 ** 127, 2 ** 127 - 1);
    }

    function testFuzz_bits(uint8 bits) public {
        TaskConfig memory config = defaultConfig();
        config.bits = bits;
        if (bits == 4 || bits == 8 || bits == 16) return _accept(config);
        vm.expectRevert(abi.encodeWithSelector(IMarket.FieldNotAllowed.selector, bytes32("bits"), bits));
        _accept(config);
    }

    function test_refusesAVerifierWithoutCode() public {
        TaskConfig memory config = defaultConfig();
        config.verifier = address(0xDEAD);
        vm.expectRevert(abi.encodeWithSelector(IMarket.VerifierWithoutCode.selector, address(0xDEAD)));
        _accept(config);
    }

    function test_refusesPointsOffTheCurve() public {
        TaskConfig memory config = defaultConfig();
        config.genesis = Point(0, 0);
        vm.expectRevert(abi.encodeWithSelector(IMarket.InvalidPoint.selector, 0, 0));
        _accept(config);
        config = defaultConfig();
        config.emptyColumn = Point(1, 3);
        vm.expectRevert(abi.encodeWithSelector(IMarket.InvalidPoint.selector, 1, 3));
        _accept(config);
    }

    function test_refusesUnreasonableLabels() public {
        TaskConfig memory config = defaultConfig();
        vm.expectRevert(abi.encodeWithSelector(IMarket.InvalidCid.selector, 0, 128));
        this.requireValid(config, "", "rule");
        vm.expectRevert(abi.encodeWithSelector(IMarket.InvalidCid.selector, 129, 128));
        this.requireValid(config, new bytes(129), "rule");
        vm.expectRevert(abi.encodeWithSelector(IMarket.FieldTooLarge.selector, bytes32("ruleName"), 65, 64));
        this.requireValid(config, new bytes(128), string(new bytes(65)));
    }

    function _accept(TaskConfig memory config) private view {
        this.requireValid(config, genesisCid, "rule");
    }

    function _tooSmall(TaskConfig memory config, bytes32 field, uint256 value, uint256 minimum) private {
        vm.expectRevert(abi.encodeWithSelector(IMarket.FieldTooSmall.selector, field, value, minimum));
        _accept(config);
    }

    function _tooLarge(TaskConfig memory config, bytes32 field, uint256 value, uint256 maximum) private {
        vm.expectRevert(abi.encodeWithSelector(IMarket.FieldTooLarge.selector, field, value, maximum));
        _accept(config);
    }
}
